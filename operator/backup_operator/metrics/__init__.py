"""Figures for Prometheus and verdicts for the kubelet, on a port of their own."""

"""A node for the sandbox: a real kubelet on containerd, in namespaces of this machine.

The control plane stays where it is. Everything of the node (containerd, kubelet, kube-proxy, DNS
and all pods) runs below one init process in mount, pid and network namespaces of its own, so that
nothing of it outlives that process; a veth pair joins the node to the host.
"""

"""What Argo CD and Flux conclude from our statuses."""

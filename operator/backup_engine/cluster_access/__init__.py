"""How an API server is reached, and what lets us in: kubeconfigs and the account of a pod."""

"""What stands in for a cluster around a real `gatewayd run DIR`: a small Kubernetes API server, the controllers of
Deployments and Services, and pods that are processes of this machine.
"""

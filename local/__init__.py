"""What runs on your own machine: the embedded cloud, the JaaS simulator and the demo."""

"""A JaaS simulator: believable meetings, signed events, and files behind links that look like Oracle's."""

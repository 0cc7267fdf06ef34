"""What Apitally's clients of version 0.25 report: the hub protocol, version 2."""

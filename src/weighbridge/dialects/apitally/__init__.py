"""Apitally's API: the traffic of an app."""

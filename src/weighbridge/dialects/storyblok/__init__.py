"""Storyblok's management API: the traffic of an organization's spaces."""

"""What `weighbridge.asgi` and `weighbridge.wsgi` share. Standard library only: it runs inside other people's apps.

A request makes a Passage (tally.py), named by its endpoint and consumer (templates.py, dimensions.py). A thread cuts the
tally once an interval, keeps what is not answered yet (spool.py), and posts it (worker.py, post.py).
"""

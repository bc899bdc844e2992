"""Common parts of the client's pages: the head, basic style, data inside, and how a page is written."""

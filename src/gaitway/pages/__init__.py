"""What all pages of the client have in common: the head, basic style, data inside, and how a page is written."""

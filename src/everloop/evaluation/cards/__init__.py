"""Model cards: composed once, written as Markdown and as a page of HTML."""

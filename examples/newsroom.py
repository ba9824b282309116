"""What every example serves: the articles and users of a small newsroom, kept in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import count
from threading import Lock
from typing import Any

__all__ = ["Newsroom"]


@dataclass
class Article:
    """One article; readers see it once it is published."""

    id: int
    title: str
    author: str
    published: bool = False


@dataclass
class Newsroom:
    """All articles and users."""

    articles: dict[int, Article] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = count(1)
        self._lock = Lock()

    @classmethod
    def with_samples(cls) -> Newsroom:
        """Return a newsroom where something has happened already."""
        newsroom = cls(users={"vera": "Vera Vogel", "eddy": "Eddy Ems", "ada": "Ada Arndt"})
        newsroom.add("A draft about harbours", "eddy")
        newsroom.add("Harbour opens", "ada").published = True
        newsroom.add("Harbour closes", "ada").published = True
        return newsroom

    def add(self, title: str, author: str) -> Article:
        """Keep a new article."""
        with self._lock:
            article = Article(next(self._ids), title, author)
            self.articles[article.id] = article
        return article

    def listing(self) -> list[dict[str, Any]]:
        """Return all articles, ready for JSON."""
        return [asdict(article) for article in list(self.articles.values())]

    def csv_lines(self) -> Iterator[str]:
        """Yield the articles as CSV, one line at a time."""
        yield "id,title,author,published\r\n"
        for article in list(self.articles.values()):
            line = io.StringIO()
            csv.writer(line).writerow(asdict(article).values())
            yield line.getvalue()

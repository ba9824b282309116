"""Where the newsroom's views are."""

from __future__ import annotations

from django.urls import path

from examples.django_app import views

urlpatterns = [
    path("health", views.health),
    path("metrics", views.metrics),
    path("me", views.me),
    path("articles", views.Articles.as_view()),
    path("articles.csv", views.export),
    path("articles/<int:article_id>", views.OneArticle.as_view()),
    path("admin/users", views.users),
]

# SPDX-License-Identifier: Apache-2.0
"""A Django application of one file, with django-prometheus."""
import os

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import include, path

settings.configure(
    SECRET_KEY="only for tests", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth",
                    "django_prometheus"],
    PROMETHEUS_EXPORT_MIGRATIONS=True,
    DATABASES={"default": {
        "ENGINE": "django_prometheus.db.backends.sqlite3",
        "NAME": os.environ.get("APP_DATABASE", ":memory:")}},
    MIDDLEWARE=["django_prometheus.middleware.PrometheusBeforeMiddleware",
                "django.middleware.common.CommonMiddleware",
                "django_prometheus.middleware.PrometheusAfterMiddleware"])


def item(request, item):
    return HttpResponse("item", status=404 if item > 90 else 200)


urlpatterns = [
    path("items/<int:item>", item, name="item"),
    path("health/", lambda request: HttpResponse("ok")),
    path("", include("django_prometheus.urls")),
]
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()

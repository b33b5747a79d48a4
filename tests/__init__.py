"""The tests; peewee comes first, so that it finds both databases' drivers whatever the settings are."""

import peewee as peewee

"""The web app: the REST interface, its OpenAPI document, its errors, and the dashboard."""

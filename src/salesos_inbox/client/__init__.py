"""The SalesOS API over HTTP: one method per endpoint, one place that sends."""

"""The report as one HTML file: a template, and figures drawn as SVG."""

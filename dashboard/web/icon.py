"""The icon of all pages."""

# Inside the page: a browser asks for an icon anew whenever the address changes, which is at each click.
ICON = (
    '<link rel="icon" href="data:image/svg+xml,'
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cellipse cx='8' cy='8' rx='7.5' ry='3' fill='%236cb6ff' transform='rotate(-30 8 8)'/%3E"
    "%3Ccircle cx='8' cy='8' r='2.5' fill='%23ffb454'/%3E%3C/svg%3E\">"
)

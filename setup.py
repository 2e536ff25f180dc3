"""Names under which the packages are installed; all else is in `pyproject.toml`.

There are two: `atlas`, the library, and `galaxy_finder`, the command with all that it runs. `dashboard` and
`precompute` import relatively within themselves, so that they can travel inside it: a package that put such common
names beside everybody else's would one day hide another's.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        "galaxy_finder",
        "galaxy_finder.assets",
        *find_packages(include=["atlas", "atlas.*"]),
        *(f"galaxy_finder.{name}" for name in find_packages(include=["dashboard*", "precompute*"])),
    ],
    package_dir={
        "galaxy_finder.assets": "assets",
        "galaxy_finder.dashboard": "dashboard",
        "galaxy_finder.precompute": "precompute",
    },
)

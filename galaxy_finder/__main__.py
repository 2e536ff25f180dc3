"""`python -m galaxy_finder`: see `galaxy_finder.command`."""

from galaxy_finder.command import main

raise SystemExit(main())

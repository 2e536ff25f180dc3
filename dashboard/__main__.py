"""`python -m dashboard`: see `dashboard.serve`."""

from .serve import main

raise SystemExit(main())

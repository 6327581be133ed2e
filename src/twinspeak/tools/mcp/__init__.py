"""Tools of other people's servers, over the Model Context Protocol (decision on own code: docs/decisions/)."""

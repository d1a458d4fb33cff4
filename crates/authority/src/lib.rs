//! Who may do what: principals, grants, caveats, limits and the one pure function that decides.

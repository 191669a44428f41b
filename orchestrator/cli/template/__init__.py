"""Go's text templates, as far as Docker's users write them in `--format`.

`lexer` makes tokens, `parser` a tree of `nodes`, `run` prints the tree over a value with the
functions of `functions`, and `values` knows what Go makes of a JSON value: its truth, its fields,
how it is printed. Imported only where `--format` is given.

Source: Go's package documentation of text/template; Docker's "Format command and log output".
"""

"""`python -m nsn_ref` is the command `nsn-ref`."""

from nsn_ref.cli import main

if __name__ == "__main__":
    main()

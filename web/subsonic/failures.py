"""The errors of the protocol: a code and a sentence."""

GENERIC, MISSING, CLIENT_TOO_OLD, SERVER_TOO_OLD = 0, 10, 20, 30
WRONG_PASSWORD, UNKNOWN_SIGN_IN, TWO_SIGN_INS = 40, 42, 43
NOT_ALLOWED, NOT_FOUND = 50, 70


class Failure(Exception):
    """An error of the protocol. Its text is one sentence for a person."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

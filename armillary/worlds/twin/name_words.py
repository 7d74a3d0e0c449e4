"""The words in a name that a program or a person gave a thing."""

import re


def words_in(name: str) -> list[str]:
    """In lower case, without numbers and marks.

    >>> words_in("FrontDoor_02")
    ['front', 'door']
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word for word in re.split(r"[\W\d_]+", apart.lower()) if word]

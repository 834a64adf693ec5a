"""Data: a recipe's source, read, checked, freed of duplicates and split. Needs NumPy, never Keras.

The names below are imported when they are used: the processes that check images need few modules of this package, and
each of them would wait for all.
"""

from typing import TYPE_CHECKING

from ftapp.common.lazy_names import import_on_use

if TYPE_CHECKING:
    from ftapp.data.examples import DocumentSplits as DocumentSplits
    from ftapp.data.examples import Examples as Examples
    from ftapp.data.examples import Splits as Splits
    from ftapp.data.examples import Subset as Subset
    from ftapp.data.reading import check as check
    from ftapp.data.reading import load as load
    from ftapp.data.reading import load_documents as load_documents
    from ftapp.data.reading import read as read
    from ftapp.data.reading import read_early as read_early
    from ftapp.data.reading import read_examples as read_examples

__getattr__ = import_on_use(
    __name__,
    {
        "ftapp.data.examples": "DocumentSplits Examples Splits Subset",
        "ftapp.data.reading": "check load load_documents read read_early read_examples",
    },
)

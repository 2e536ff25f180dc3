"""Training sets: labels as files that others train on, and labels of others brought in.

    training_set.py     one label a galaxy, negatives drawn by magnitude
    splits.py           train, val and test, with what is nearly the same on one side
    write.py            CSV, Parquet, a folder a class for torchvision, a catalogue for Zoobot, and a card
    read.py             a table of labels into the history

>>> from atlas.training import Choices, export
>>> export(atlas, Path("lenses"), Choices(labels=("lens",), negatives=5))
"""

from atlas.training.read import import_labels, read_table
from atlas.training.training_set import Choices, TrainingSet, training_set
from atlas.training.write import export

__all__ = ["Choices", "TrainingSet", "export", "import_labels", "read_table", "training_set"]

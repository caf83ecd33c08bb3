"""The processes of chapter 06, exercise 3: four ways to end, or not to end."""


def put_word(queue):
    """Put a word, which nobody gets."""
    queue.put("hello")


def get_word(queue):
    """Get a word, which nobody puts."""
    queue.get()


def put_function(queue):
    """Put a function that has no name."""
    queue.put(lambda number: number + 1)


def put_price(queue):
    """Put a price that is not in the list."""
    queue.put({"apples": 3}["pears"])

"""User studies: sets of pictures shown blind, votes in a file that survives, and what they say."""

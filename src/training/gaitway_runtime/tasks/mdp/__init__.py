"""The terms of the tasks: plain functions over arrays, with Isaac Lab's names, definitions and units."""

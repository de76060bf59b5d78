"""Evaluations of many methods over a data set: suites, their runs, tidy tables and the tables that papers print."""

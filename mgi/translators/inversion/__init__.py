"""The inversion family: one translator whose settings make the published methods. Hypotheses and lanes stay inside."""

"""The verbs of the command line, one small file each. Heavy modules are imported by a verb when it runs, never before."""

"""The stages of a build. One module a stage; each reads files of earlier stages and writes its own, nothing else."""

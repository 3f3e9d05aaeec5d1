"""Every rule of the operator as a pure function: facts and the time in, one value out.

Nothing here waits, logs, reads a clock or knows a client; what is decided is carried out by
``backup_operator.reconcile``.
"""

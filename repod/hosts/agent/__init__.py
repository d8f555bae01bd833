"""`repod-agent`: a host looks for itself which builds it is to run, and comes to run them.

For fleets that nobody may reach from outside. It asks the repository alone: no daemon is needed, and a bucket serves
any number of hosts.
"""

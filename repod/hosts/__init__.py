"""`repod-s3`: what hosts run that read private buckets.

Hosts are older and barer than the machine of the daemon. So this package stands alone: it imports the
standard library and botocore, and runs on Python 3.9 and newer.
"""

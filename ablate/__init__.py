"""Where, how often and how should dropout be placed in a recurrent network?"""

"""Any stored pool of candidates under any rules: `reports/replay.html`.

Reads candidates that a run stored (or that came from elsewhere: pools/), samples as many attempts per problem as a recipe's plan
names, many times, lets them finish in their own time, and asks the same stopping rules and time budgets that a live run asks. So a rule
costs a second instead of a night, and carries an interval. Asks no model. A plan that generates differently cannot be replayed, and its
row says so.
"""

"""The interface in a browser: the server, its links, the sessions of visitors and the processes behind them."""

"""Who may use the service: tokens, sessions of browsers, failed sign-ins, and the address to listen on."""

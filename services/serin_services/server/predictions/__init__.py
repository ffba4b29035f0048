"""The prediction log: what was asked and answered, kept for whoever joins the outcomes to it later."""

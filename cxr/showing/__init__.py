"""What a person sees: pictures and numbers made from readings and evaluations."""

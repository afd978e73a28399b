"""What the API says of itself: OpenAPI, and a page that shows it and tries it out.

``bodies`` are what is answered in JSON, ``answers`` what else belongs to an answer, ``operations``
puts them together, address by address, and ``views`` serve the result.
"""

"""Target languages: parsing, normal forms, trees and execution of programs."""

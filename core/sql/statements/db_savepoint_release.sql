release _knocker

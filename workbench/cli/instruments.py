"""The instruments of `workbench study`, each with the question it answers."""

# by the name that each has in workbench.study and in workbench.plot; read without importing them
INSTRUMENTS = {
    "covariance": "How do the parameters vary together: Fisher information, sandwich, posterior?",
    "design": "What does the design tell apart, and how does the prior shrink each direction?",
    "spectrum": "Which directions do the data decide, and which the prior?",
    "score": "Is the score zero, do finite differences agree, what does each row pull?",
    "evidence": "How probable are the data: fit less Occam factor, by estimators that agree?",
    "limits": "Do both answers meet with more data, a wider prior, a lower temperature?",
    "bayes": "Likelihood times prior over evidence: at a point, on an axis, batch by batch.",
    "surface": "What does the likelihood over two parameters look like, and what led to its top?",
    "optimisers": "How fast do six optimisers climb, and how fast should they?",
    "penalties": "What does a prior of another width do, and which width does each score pick?",
    "methods": "Which way of fitting a network predicts best, how sure is it, at what cost?",
}
# instruments of several pictures, which they leave in a folder: by their gallery in workbench.plot
GALLERIES = {"methods": "network_pictures"}

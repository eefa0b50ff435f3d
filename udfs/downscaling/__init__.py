"""The learned downscaling frameworks: samples of coarse soil moisture in, trained models in the lake, predictions out.

What imports a library of models is imported when it is first needed: whoever only registers the kernels does not wait for it.

    parameters    the estimators and the hyperparameters that a study may set
    settings      how a training is done, from the study
    samples       Arrow lists as rows in one order, and the digest that says whether two trainings are the same
    splits        outer fold, train and test halves, folds by rows, blocks and time
    estimators    one class a library behind one interface: fit, predict, importance, SHAP, and back from bytes
    forest        random forests as plain arrays
    scoring       RMSE, correlation, half-width and coverage of intervals
    attribution   importance of features and SHAP values
    training      everything of one window or unit
    artefact      one model as a file whose bytes depend on nothing but the model
    store         the models of a lake, by content, and the register of their trainings
    prediction    batches of pixels through loaded models
    kernels       train_downscaler and predict_soil_moisture
"""
